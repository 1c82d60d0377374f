#include "server/base/nice.h"

#include <sys/resource.h>

#include <exception>
#include <optional>
#include <system_error>
#include <thread>

#include "server/base/on_behalf.h"
#include "server/base/shared_steps.h"

namespace saed {

void BeNice() {
  constexpr int kNice = 10;
  (void)setpriority(PRIO_PROCESS, 0, kNice);  // 0 is the calling thread here, not its process
}

void RunNicely(const std::function<void()>& work) {
  const OnBehalf* call = OnBehalf::Current();
  SharedSteps* shared = SharedSteps::Current();
  std::exception_ptr thrown;
  const auto nicely = [&] {
    BeNice();
    std::optional<OnBehalf> same;
    if (call != nullptr) same.emplace(call->who(), [call] { return call->StillWanted(); });
    std::optional<SharedSteps> same_steps;
    if (shared != nullptr) same_steps.emplace(shared);
    try {
      work();
    } catch (...) {
      thrown = std::current_exception();
    }
  };
  std::thread thread;
  try {
    thread = std::thread(nicely);
  } catch (const std::system_error&) {
    return work();  // there are no more threads
  }
  thread.join();
  if (thrown) std::rethrow_exception(thrown);
}

}  // namespace saed
