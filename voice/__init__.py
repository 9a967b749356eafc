"""Kaiwa: talk to a language model by voice, in the browser."""
