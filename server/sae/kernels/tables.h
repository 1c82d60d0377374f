// The tables, each compiled for its instruction set; call through dispatch.h.
#pragma once

#include "server/sae/kernels/table.h"

namespace saed::sae {

extern const KernelTable<float> kAvx2Table;
extern const KernelTable<float> kAvx512Table;

}  // namespace saed::sae
