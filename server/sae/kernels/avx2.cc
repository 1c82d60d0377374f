#include "server/sae/kernels/lanes_avx2.h"
// The lanes come first.
#include "server/sae/kernels/body.h"
#include "server/sae/kernels/tables.h"

namespace saed::sae {

extern constinit const KernelTable<float> kAvx2Table = Table("avx2");

}  // namespace saed::sae
