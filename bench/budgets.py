"""The bars that the measurements are held against: docs/architecture.md's promises in numbers. name -> figure -> bar, in the row's unit."""

PROCESS_HEALED = {"p50": 1.5, "p99": 10}

BUDGETS = {
    "process/call_counter": {"p50": 0.3},
    "process/cast_counter": {"p50": 0.06},
    "process/start_stop_counter": {"p50": 0.35},
    "process/idle_create_counter": {"p50": 0.5},
    "process/idle_memory_counter": {"resident": 500},
    "process/crash_counter": PROCESS_HEALED,
    "process/crash_lua": PROCESS_HEALED,
    "process/error_lua": PROCESS_HEALED,
    "net/round_trip": {"p50": 40, "p99": 90},
    "sdk/call_own_pod": {"p50": 60},
    "sdk/cpp_socket_1": {"p50": 60},
    "sdk/added_python": {"p50": 150},
    "sdk/added_node": {"p50": 150},
    "mesh/addressed_to_connected": {"p50": 50},
    "mesh/killed_to_down": {"p50": 5},
    "mesh/silent_to_down": {"p50": 2000},
    "heal/pod_killed_to_answer": {"p50": 2000},
    "memory/sidecar_idle": {"rss": 15},
}

# What the peers of the budgets took on a machine of the same size; only for reading beside, never computed with.
PEERS = {
    "process/call_counter": "gen_server:call 1.9 us",
    "process/cast_counter": "Erlang message 0.17 us",
    "process/start_stop_counter": "Erlang spawn and exit 1.8 us",
    "process/idle_create_counter": "Erlang 4.6 us",
    "process/idle_memory_counter": "Erlang 2691 bytes",
    "process/crash_counter": "OTP supervisor 15 / 33 us",
    "process/crash_lua": "OTP supervisor 15 / 33 us",
    "process/error_lua": "OTP supervisor 15 / 33 us",
    "net/round_trip": "Erlang in plain text 46 / 76 us",
    "sdk/call_own_pod": "Dapr adds 910 us",
    "sdk/cpp_socket_1": "Dapr 1.18, published: a call by HTTP adds 910 us, by gRPC 950, an actor's first call takes 1,600 (p50)",
    "sdk/added_python": "Dapr 1.18, published: a call by HTTP adds 910 us (p50)",
    "sdk/added_node": "Dapr 1.18, published: a call by HTTP adds 910 us (p50)",
    "mesh/addressed_to_connected": "libcluster polls every 5 s",
    "mesh/killed_to_down": "Erlang 6 ms",
    "mesh/silent_to_down": "Erlang 45 to 75 s",
    "memory/sidecar_idle": "Dapr 33 to 52 MB",
}
