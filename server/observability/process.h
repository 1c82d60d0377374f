// The process figures that every Prometheus client library gives: CPU, memory, descriptors, start.
#pragma once

#include <prometheus/collectable.h>

#include <memory>

namespace saed::observability {

std::shared_ptr<prometheus::Collectable> MakeProcessCollector();

}  // namespace saed::observability
