"""One file per family of torch operators; `dispatch` picks the handler, Inductor's body or a decomposition."""
