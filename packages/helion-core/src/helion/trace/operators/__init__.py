"""One file per family of torch operators; `dispatch` picks the handler, an elementwise body or a decomposition."""
