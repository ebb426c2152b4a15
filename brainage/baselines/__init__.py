"""What a network has to beat: simple predictors on the same volumes."""
