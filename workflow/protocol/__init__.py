"""How a row is run: recipes, data sets, search methods, rules on kernel sizes."""
