"""How Segue runs: the command line, the local stack, the simulator, deployment files."""
