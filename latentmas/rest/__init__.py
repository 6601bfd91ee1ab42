"""HTTP for every app: knows protocol and blobs, no app."""
