#include "activations.h"
#include "lstm_units_any.h"
#include "master_gates.h"

extern const int16_t ksr_rise_table[1026];

/* exp(-x), Q15, of x in Q(7 + more), at least 0; 0 from 8 on. */
static uint32_t fall(int32_t x, int32_t more) {
  return x < 1024 << more ? (uint32_t)(KSR_Q15_ONE - ksr_fall(ksr_rise_table, x, more)) : 0;
}

/* From the accumulators of a master gate to the sums of softmax up to each entry, Q15; the last is 1. */
static void cumax(const ksr_on_lstm_layer *layer, int32_t slot, int32_t *acc) {
  const ksr_recurrent *r = &layer->lstm.recurrent;
  const ksr_gates *gates = &layer->lstm.gates;
  const int32_t chunks = ksr_chunks(layer), first = ksr_first_entries(chunks);
  int32_t *of_slots[2] = {acc + slot * r->stride + r->units, acc + (slot + 1) * r->stride + r->units};
  const int32_t counts[2] = {first, chunks - first};
  int32_t largest = INT32_MIN, shift = 0;
  uint32_t sum = 0;
  for (int32_t part = 0; part < 2; ++part) {
    ksr_pre_activations(gates, slot + part, of_slots[part], counts[part], of_slots[part]);
    for (int32_t k = 0; k < counts[part]; ++k) largest = of_slots[part][k] > largest ? of_slots[part][k] : largest;
  }
  for (int32_t part = 0; part < 2; ++part) {
    for (int32_t k = 0; k < counts[part]; ++k) {
      sum += fall(largest - of_slots[part][k], gates->to_tanh);
      of_slots[part][k] = (int32_t)sum;
    }
  }
  while (sum >> shift > UINT16_MAX) ++shift; /* so that the dividend fits 32 bits */
  sum >>= shift;
  for (int32_t part = 0; part < 2; ++part) {
    for (int32_t k = 0; k < counts[part]; ++k) {
      of_slots[part][k] = (int32_t)((((uint32_t)of_slots[part][k] >> shift << 15) + (sum >> 1)) / sum);
    }
  }
}

/* gate * both + (master - both), Q(15 - gate_bits) as the gate; the others are in Q15. */
static int32_t opened(int32_t gate, int32_t both, int32_t master, int32_t gate_bits) {
  return ((gate * both + (1 << 14)) >> 15) + ((master - both + ((1 << gate_bits) >> 1)) >> gate_bits);
}

static void open_gates(const ksr_lstm_layer *lstm, const int32_t *acc, int32_t first, int32_t count, int32_t *i,
                       int32_t *f) {
  const ksr_on_lstm_layer *layer = (const ksr_on_lstm_layer *)lstm;
  const int32_t chunks = ksr_chunks(layer), gate_bits = lstm->gates.activations.gate_bits;
  int32_t chunk = first / layer->chunk_size, left = (chunk + 1) * layer->chunk_size - first;
  for (int32_t u = 0; u < count; ++chunk, left = layer->chunk_size) {
    const int32_t open_f = acc[ksr_entry_place(&lstm->recurrent, 0, chunk, chunks)];
    const int32_t open_i = KSR_Q15_ONE - acc[ksr_entry_place(&lstm->recurrent, 2, chunk, chunks)];
    const int32_t both = (open_f * open_i) >> 15;
    for (; left && u < count; --left, ++u) {
      i[u] = opened(i[u], both, open_i, gate_bits);
      f[u] = opened(f[u], both, open_f, gate_bits);
    }
  }
}

void ksr_on_lstm_units_other(const ksr_lstm_layer *lstm, int32_t *acc, void *h, int16_t *c, void *output) {
  const ksr_on_lstm_layer *layer = (const ksr_on_lstm_layer *)lstm;
  cumax(layer, 0, acc);
  cumax(layer, 2, acc);
  ksr_lstm_units_any(lstm, open_gates, acc, h, c, output);
}
