/* Runs a model on recorded sequences, each from a clear state, and compares every output with the recorded one. Exit status: 0
 * equal, 1 the model could not be initialised, 2 an output differs. */
#include <string.h>

#include "marks.h"
#include "recorded.h"
#include "semihosting.h"

int main(void) {
  static uint8_t output[RECORDED_OUTPUT_BYTES];
  if (recorded_init() != 0) {
    print("init failed\n");
    return 1;
  }
  for (int32_t i = 0; i < RECORDED_CALLS; ++i) {
    if (i % RECORDED_CALLS_A_SEQUENCE == 0) recorded_reset();
    KSR_COUNT_BEGIN();
    recorded_call(recorded_input + i * RECORDED_INPUT_BYTES, output);
    KSR_COUNT_END();
    if (memcmp(output, recorded_output + i * RECORDED_OUTPUT_BYTES, RECORDED_OUTPUT_BYTES) != 0) {
      print("output differs\n");
      return 2;
    }
  }
  return 0;
}
