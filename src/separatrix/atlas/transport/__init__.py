"""Transport: measures, the maps between them, and sampling."""
