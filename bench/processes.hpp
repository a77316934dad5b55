#pragma once

/// Keeps the optimiser from dropping what a benchmark makes.
#define ORRERY_BENCH_KEEP(value) asm volatile("" : : "r"(&(value)) : "memory")

namespace orrery::bench {

/// Measures the process runtime and prints a table. Returns the exit code.
int run_processes();

}  // namespace orrery::bench
