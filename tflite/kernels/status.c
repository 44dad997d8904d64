#include "ksr.h"

#define KSR_STATUS_TEXT(name, text) text,
static const char *const status_texts[] = {KSR_STATUS_LIST(KSR_STATUS_TEXT)};

const char *ksr_status_text(ksr_status status) {
  const int32_t kind = KSR_KIND(status);
  return kind < KSR_STATUS_COUNT ? status_texts[kind] : "unknown status";
}

/* In a file that every program with a core links, so that two cores define it twice. */
const unsigned char KSR_CORE = 1;
#if KSR_WITH_FLOAT32
const unsigned char ksr_core_with_float32 = 1;
#endif
#if KSR_WITH_INT16
const unsigned char ksr_core_with_int16 = 1;
#endif
#if KSR_WITH_USUAL_GATES
const unsigned char ksr_core_with_usual_gates = 1;
#endif
#if KSR_WITH_OTHER_GATES
const unsigned char ksr_core_with_other_gates = 1;
#endif
#if KSR_WITH_PIECEWISE
const unsigned char ksr_core_with_piecewise = 1;
#endif
#if KSR_WITH_SOFTSIGN
const unsigned char ksr_core_with_softsign = 1;
#endif
#if KSR_WITH_SIGMOID
const unsigned char ksr_core_with_sigmoid = 1;
#endif
#if KSR_WITH_TANH
const unsigned char ksr_core_with_tanh = 1;
#endif
#if KSR_WITH_EXPONENTIAL
const unsigned char ksr_core_with_exponential = 1;
#endif
#if KSR_WITH_GELU
const unsigned char ksr_core_with_gelu = 1;
#endif
#if KSR_WITH_BLOCKS_4
const unsigned char ksr_core_with_blocks_4 = 1;
#endif
#if KSR_WITH_BLOCKS_8
const unsigned char ksr_core_with_blocks_8 = 1;
#endif
#if KSR_WITH_BLOCKS_16
const unsigned char ksr_core_with_blocks_16 = 1;
#endif
#if KSR_WITH_HIGH_BLOCKS
const unsigned char ksr_core_with_high_blocks = 1;
#endif
#if KSR_WITH_BY_SOURCES
const unsigned char ksr_core_with_by_sources = 1;
#endif
#if KSR_WITH_BY_OUTPUTS
const unsigned char ksr_core_with_by_outputs = 1;
#endif
#if KSR_WITH_WEIGHTS_8
const unsigned char ksr_core_with_weights_8 = 1;
#endif
#if KSR_WITH_WEIGHTS_4
const unsigned char ksr_core_with_weights_4 = 1;
#endif
#if KSR_WITH_HOLDS
const unsigned char ksr_core_with_holds = 1;
#endif
#if KSR_WITH_DIAGONAL
const unsigned char ksr_core_with_diagonal = 1;
#endif
#if KSR_WITH_DEEP
const unsigned char ksr_core_with_deep = 1;
#endif
#if KSR_WITH_RANK
const unsigned char ksr_core_with_rank = 1;
#endif
