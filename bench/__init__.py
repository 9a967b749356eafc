"""Benchmarks: how fast Kaiwa is, and where the time goes. README.md tells how to run them and how to read them."""
