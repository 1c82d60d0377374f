// Student's t, for what is estimated from few trials.
#pragma once

#include <cstdint>

namespace saed::features {

// Quantile 0.975 of Student's t with `degrees` ≥ 1 degrees of freedom, to 1e-8. From the closed
// forms of the distribution function for whole degrees (Abramowitz & Stegun 26.7.3 and 26.7.4), and
// above 200 degrees from its expansion about the normal quantile (26.7.5).
double StudentQuantile975(int64_t degrees);

}  // namespace saed::features
