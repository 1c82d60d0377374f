#include "server/base/shared_steps.h"

namespace saed {
namespace {

thread_local SharedSteps* sharing = nullptr;

}  // namespace

SharedSteps::SharedSteps(SharedSteps* of)
    : left_(of == nullptr ? &own_ : of->left_), before_(sharing) {
  sharing = this;
}

SharedSteps::~SharedSteps() { sharing = before_; }

SharedSteps* SharedSteps::Current() { return sharing; }

}  // namespace saed
