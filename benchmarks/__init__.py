"""Speed and understanding beside the stock Rasa configuration, in one run."""
