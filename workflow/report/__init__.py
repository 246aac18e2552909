"""Records become tables, figures, claims, chapters and the page; without torch."""
