// What the instrumented code calls at every branch, where nobody fuzzes.
extern "C" void __sanitizer_cov_trace_pc();
extern "C" void __sanitizer_cov_trace_pc() {}
