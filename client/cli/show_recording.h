// A recording as people see it.
#pragma once

#include "saed/v1/recordings.pb.h"

namespace saed::cli {

// What is known of it, in lines that fit the terminal.
void PrintRecording(const v1::Recording& recording);
// The first training that fits it, with reasons; nothing where the server knows none.
void PrintFirstCommand(const v1::Recording& recording);

}  // namespace saed::cli
