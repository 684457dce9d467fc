"""Just enough of tritonbench's interface to drive: registries, a loop over inputs and backends, an operator."""
