/* Runs models on recorded sequences, each from a clear state, and compares every output with the recorded one. Prints
 * for each model a line "stack INIT CALL", the most bytes of stack that its functions have touched (on a board). Exit
 * status: 0 equal, 1 a model could not be initialised, 2 an output differs. */
#include "check.h"

#include <string.h>

#ifdef KSR_STACK_POINTER

#include "semihosting.h"

enum { PAINTED = 16384 }; /* bytes below this function's stack */
static const uint32_t paint = 0xdeadbeef;

uint8_t *ksr_stack_begin;
static uint32_t *painted_end;

/* Below the stack of the caller, which must be as deep when it calls `stack_used`. */
__attribute__((noinline)) static void paint_stack(void) {
  KSR_STACK_POINTER(painted_end);
  volatile uint32_t *at = painted_end;
  for (int32_t i = 0; i < PAINTED / 4; ++i) *--at = paint;
}

static int32_t stack_used(void) {
  const volatile uint32_t *at = painted_end - PAINTED / 4;
  while (at < painted_end && *at == paint) ++at;
  const int32_t used = (int32_t)(ksr_stack_begin - (const uint8_t *)at);
  return used > 0 ? used : 0; /* what is above belongs to the caller; on RISC-V it includes a return address */
}

static void print_number(int32_t number) {
  char digits[12], *at = digits + sizeof(digits);
  *--at = 0;
  do {
    *--at = (char)('0' + number % 10);
    number /= 10;
  } while (number);
  print(at);
}

static void print_stack(int32_t init, int32_t call) {
  print("stack ");
  print_number(init);
  print(" ");
  print_number(call);
  print("\n");
}

#else

#include <stdio.h>

static void print(const char *text) { fputs(text, stderr); }
static void paint_stack(void) {}
static int32_t stack_used(void) { return 0; }
static void print_stack(int32_t init, int32_t call) { (void)init, (void)call; }

#endif

static int check(const ksr_program *program) {
  paint_stack();
  if (program->init() != 0) {
    print(program->name);
    print(": init failed\n");
    return 1;
  }
  const int32_t init = stack_used();
  int32_t deepest = 0;
  memset(ksr_output, 0, (size_t)program->output_bytes);
  for (int32_t i = 0; i < program->calls; ++i) {
    if (i % program->calls_per_sequence == 0) program->reset();
    paint_stack();
    program->call(program->inputs + i * program->input_bytes, ksr_output);
    const int32_t used = stack_used();
    if (used > deepest) deepest = used;
    if (memcmp(ksr_output, program->outputs + i * program->output_bytes, (size_t)program->output_bytes) != 0) {
      print(program->name);
      print(": output differs\n");
      return 2;
    }
  }
  print_stack(init, deepest);
  return 0;
}

int main(void) {
  for (int32_t i = 0; i < ksr_program_count; ++i) {
    const int status = check(&ksr_programs[i]);
    if (status) return status;
  }
  return 0;
}
