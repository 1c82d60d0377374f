// What the check of a specification takes, which reads the recording and builds its view.
#pragma once

#include <cstdint>

#include "server/jobs/spec.h"
#include "server/jobs/stores.h"

namespace saed::rpc {

// Bytes of memory, about; 0 for what names no recording or model that is there. Thread-safe.
int64_t CheckCost(const jobs::Stores& stores, const jobs::TrainSpec& spec);
int64_t CheckCost(const jobs::Stores& stores, const jobs::AnalyseSpec& spec);

}  // namespace saed::rpc
