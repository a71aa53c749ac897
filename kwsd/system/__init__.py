"""What kwsd needs from the operating system: owners of files, processes, and output that is safe to print."""
