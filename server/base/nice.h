// Work that the operating system should prefer others to.
#pragma once

#include <functional>

namespace saed {

// Lets the operating system prefer every other thread of the machine to the calling one, for good:
// without privileges a thread that was made nice stays so. A refusal leaves it as it was.
void BeNice();

// Runs `work` on a nice thread of its own, waits for it, and passes on what it throws. It works for
// the same call as the thread that waits.
void RunNicely(const std::function<void()>& work);

}  // namespace saed
