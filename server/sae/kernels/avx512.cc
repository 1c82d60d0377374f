#include "server/sae/kernels/lanes_avx512.h"
// The lanes come first.
#include "server/sae/kernels/body.h"
#include "server/sae/kernels/tables.h"

namespace saed::sae {

extern constinit const KernelTable<float> kAvx512Table = Table("avx512");

}  // namespace saed::sae
