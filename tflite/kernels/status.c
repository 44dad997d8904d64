#include "ksr.h"

#define KSR_STATUS_TEXT(name, text) text,
static const char *const status_texts[] = {KSR_STATUS_LIST(KSR_STATUS_TEXT)};

const char *ksr_status_text(ksr_status status) {
  return (unsigned)status < KSR_STATUS_COUNT ? status_texts[status] : "unknown status";
}
