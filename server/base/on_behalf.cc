#include "server/base/on_behalf.h"

#include <utility>

namespace saed {
namespace {

thread_local const OnBehalf* current = nullptr;

}  // namespace

OnBehalf::OnBehalf(std::string who, Wanted wanted)
    : who_(std::move(who)), wanted_(std::move(wanted)), before_(current) {
  current = this;
}

OnBehalf::~OnBehalf() { current = before_; }

const OnBehalf* OnBehalf::Current() { return current; }

absl::Status StillWanted() {
  return current == nullptr ? absl::OkStatus() : current->StillWanted();
}

}  // namespace saed
