#include <string.h>

#include "gates_f32.h"
#include "master_gates.h"
#include "recurrent.h"

/* The sums of softmax up to each entry of a master gate; the last is 1. */
static void cumax(const ksr_on_lstm_layer *layer, int32_t slot, float *acc) {
  const ksr_recurrent *r = &layer->lstm.recurrent;
  const int32_t chunks = ksr_chunks(layer), first = ksr_first_entries(chunks);
  float *of_slots[2] = {acc + slot * r->stride + r->units, acc + (slot + 1) * r->stride + r->units};
  const int32_t counts[2] = {first, chunks - first};
  float largest = of_slots[0][0], sum = 0.0f;
  for (int32_t part = 0; part < 2; ++part) {
    for (int32_t k = 0; k < counts[part]; ++k) largest = of_slots[part][k] > largest ? of_slots[part][k] : largest;
  }
  for (int32_t part = 0; part < 2; ++part) {
    float *values = of_slots[part];
    for (int32_t k = 0; k < counts[part]; ++k) values[k] -= largest;
    ksr_exponentials_f32(values, values, counts[part]);
    for (int32_t k = 0; k < counts[part]; ++k) values[k] = sum += values[k];
  }
  for (int32_t part = 0; part < 2; ++part) {
    for (int32_t k = 0; k < counts[part]; ++k) of_slots[part][k] /= sum;
  }
}

static void open_gates(const ksr_on_lstm_layer *layer, float *acc) {
  const ksr_recurrent *r = &layer->lstm.recurrent;
  const int32_t chunks = ksr_chunks(layer), size = layer->chunk_size;
  float *in = acc, *forget = in + r->stride;
  cumax(layer, 0, acc);
  cumax(layer, 2, acc);
  for (int32_t chunk = 0; chunk < chunks; ++chunk) {
    const float open_f = acc[ksr_entry_place(r, 0, chunk, chunks)];
    const float open_i = 1.0f - acc[ksr_entry_place(r, 2, chunk, chunks)];
    const float both = open_f * open_i;
    for (int32_t u = chunk * size; u < r->units && u < (chunk + 1) * size; ++u) {
      forget[u] = forget[u] * both + (open_f - both);
      in[u] = in[u] * both + (open_i - both);
    }
  }
}

static void run_units(const ksr_on_lstm_layer *layer, float *acc, float *c, float *h) {
  const ksr_recurrent *r = &layer->lstm.recurrent;
  const ksr_activations *activations = &layer->lstm.gates.activations;
  float *in = acc, *forget = in + r->stride, *g = forget + r->stride, *out = g + r->stride;
  for (int32_t slot = 0; slot < KSR_SLOTS; ++slot) {
    ksr_activation *function = slot == 2 ? activations->activation : activations->recurrent_activation;
    function(acc + slot * r->stride, r->units, 0, 0);
  }
  open_gates(layer, acc);
  for (int32_t u = 0; u < r->units; ++u) h[u] = c[u] = forget[u] * c[u] + in[u] * g[u];
  activations->activation(h, r->units, 0, 0);
  for (int32_t u = 0; u < r->units; ++u) h[u] *= out[u];
}

void ksr_on_lstm_run_f32(const ksr_on_lstm_layer *layer, void *scratch) {
  const ksr_recurrent *r = &layer->lstm.recurrent;
  const uint32_t state_size = (uint32_t)r->units * sizeof(float);
  float *acc = scratch;
  float *states = (float *)(void *)((uint8_t *)scratch + ksr_recurrent_scratch(r));
  float *h = layer->lstm.h ? layer->lstm.h : states;
  float *c = layer->lstm.c ? layer->lstm.c : states + r->units;
  if (!layer->lstm.h) memset(h, 0, state_size);
  if (!layer->lstm.c) memset(c, 0, state_size);
  for (int32_t step = 0; step < r->steps; ++step) {
    ksr_recurrent_accumulate_f32(r, ksr_recurrent_input(r, step, sizeof(float)), h, acc);
    run_units(layer, acc, c, h);
    float *output = ksr_recurrent_output(r, step, sizeof(float));
    if (output) memcpy(output, h, state_size);
  }
}
