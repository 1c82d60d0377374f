// The tables, each compiled for its instruction set; call through dispatch.h.
#pragma once

#include "server/sae/kernels/table.h"

namespace saed::sae {

extern const KernelTable<float> kAvx2Table;
extern const KernelTable<float> kAvx512Table;

// What AMX or VNNI adds to AVX-512.
struct DenseTable {
  bool (*available)();  // whether the processor has it; of tiles, asks the system for them
  decltype(KernelTable<float>::encode_dense) encode_dense;
  decltype(KernelTable<float>::pack_dense) pack_dense;
};
extern const DenseTable kAmxTable;
extern const DenseTable kVnniTable;

}  // namespace saed::sae
