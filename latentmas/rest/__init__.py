"""HTTP code that all apps share; it imports `latentmas.protocol` and `latentmas.blobs`, and no app."""
