"""What is planned, what it costs, what is done, which data sets are here."""
