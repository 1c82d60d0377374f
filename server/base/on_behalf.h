// The call that a thread works for, so that work ends when nobody waits for it any more.
#pragma once

#include <functional>
#include <string>

#include "absl/status/status.h"

namespace saed {

// While one lives, its thread works for a call. Work that goes on elsewhere asks through the thread
// that waits for it. Not thread-safe; made and destroyed on the thread, the last made first.
class OnBehalf {
 public:
  // OK while somebody waits; else DEADLINE_EXCEEDED or CANCELLED with words for the caller. Called
  // often.
  using Wanted = std::function<absl::Status()>;

  // `who`: the user, empty where nobody is asked who they are.
  OnBehalf(std::string who, Wanted wanted);
  ~OnBehalf();
  OnBehalf(const OnBehalf&) = delete;
  OnBehalf& operator=(const OnBehalf&) = delete;

  const std::string& who() const { return who_; }
  absl::Status StillWanted() const { return wanted_(); }

  // Of this thread; null where it works for the server itself.
  static const OnBehalf* Current();

 private:
  std::string who_;
  Wanted wanted_;
  const OnBehalf* before_;
};

// Whether this thread's call still waits; OK where it works for none.
absl::Status StillWanted();

}  // namespace saed
