"""Networks: what a network computes, as a geometric object."""
