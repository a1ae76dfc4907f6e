"""Games: models that learn against each other."""
