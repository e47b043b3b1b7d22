"""What watches the app: the probe and the metrics, over HTTP."""
