// A thread that must go on whatever happens: exceptions become statuses.
#pragma once

#include <fmt/format.h>

#include <exception>
#include <new>
#include <type_traits>

#include "absl/status/status.h"

namespace saed::jobs {

// What `work`, which gives a Status or a StatusOr, gives; RESOURCE_EXHAUSTED where it ran out of
// memory, INTERNAL where it threw anything else.
template <class Work>
std::invoke_result_t<Work> NoThrow(Work&& work) {
  try {
    return work();
  } catch (const std::bad_alloc&) {
    return absl::ResourceExhaustedError("not enough memory");
  } catch (const std::exception& e) {
    return absl::InternalError(fmt::format("broke off: {}; this is a fault of saed", e.what()));
  } catch (...) {
    return absl::InternalError("broke off without saying why; this is a fault of saed");
  }
}

}  // namespace saed::jobs
