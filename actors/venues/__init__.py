"""What an exchange is to us, and who plays it."""
