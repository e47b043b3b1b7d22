"""Email, SMS and sign-in logs for Flask."""
