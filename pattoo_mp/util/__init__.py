"""The ground floor: text, files, processes and signals. Imports no other room."""
