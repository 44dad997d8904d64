/* The element-wise part of an LSTM with any activations, in integers. */
#ifndef KSR_LSTM_UNITS_ANY_H_
#define KSR_LSTM_UNITS_ANY_H_

#include "gates_other.h"
#include "ksr_lstm_layer.h"

enum { KSR_INDEX_BITS = 8 }; /* behind the entries that an activation can go between */

/* The activation of cell states, which are in Q(15 - bits). */
static inline void ksr_activate_cells(const ksr_gates *gates, const int16_t *c, int32_t bits, int32_t count,
                                      int32_t *values) {
  const int32_t more = bits < KSR_INDEX_BITS ? KSR_INDEX_BITS - bits : 0, left = bits - KSR_INDEX_BITS + more;
  for (int32_t i = 0; i < count; ++i) values[i] = c[i] * (1 << left);
  gates->activations.activation(values, count, more, gates->activations.state_bits);
}

/* Opens the gates i and f of `count` units from `first` on. */
typedef void ksr_open_gates(const ksr_lstm_layer *lstm, const int32_t *acc, int32_t first, int32_t count, int32_t *i,
                            int32_t *f);

/* `open` is NULL where the gates act as they are. */
KSR_INLINE void ksr_lstm_units_any(const ksr_lstm_layer *lstm, ksr_open_gates *open, int32_t *acc, void *h,
                                   int16_t *c, void *output) {
  const ksr_recurrent *r = &lstm->recurrent;
  const ksr_gates *gates = &lstm->gates;
  const int32_t gate_bits = gates->activations.gate_bits, half = 1 << (14 - gate_bits), shift = 15 - gate_bits;
  const int32_t to_cell = lstm->cell_bits - gates->activations.state_bits;
  for (int32_t first = 0; first < r->units; first += KSR_GATES_AT_ONCE) {
    const int32_t count = ksr_smaller(r->units - first, KSR_GATES_AT_ONCE);
    int32_t gate[4][KSR_GATES_AT_ONCE], cell[KSR_GATES_AT_ONCE];
    for (int32_t slot = 0; slot < 4; ++slot) {
      const int32_t *slot_acc = acc + slot * r->stride + first;
      if (slot == 2) {
        ksr_pre_activations(gates, slot, slot_acc, count, gate[slot]);
        ksr_make_candidates(gates, count, gate[slot]);
      } else {
        ksr_make_gates(gates, slot, slot_acc, count, gate[slot]);
      }
    }
    if (open) open(lstm, acc, first, count, gate[0], gate[1]);
    for (int32_t i = 0; i < count; ++i) {
      const int32_t added = (gate[0][i] * gate[2][i]) >> to_cell;
      c[first + i] = (int16_t)ksr_saturate_i16((gate[1][i] * c[first + i] + added + half) >> shift);
    }
    ksr_activate_cells(gates, c + first, lstm->cell_bits, count, cell);
    for (int32_t i = 0; i < count; ++i) {
      const int32_t u = first + i, hidden = ksr_times(gate[3][i], cell[i], gate_bits);
      const int32_t operand = ksr_saturate_bits(ksr_rescale(hidden, gates->operand), r->operand_bits);
      if (r->is_int16) {
        ((int16_t *)h)[u] = (int16_t)operand;
        if (output) ((int16_t *)output)[u] = ksr_output_i16(gates, hidden);
      } else {
        ((int8_t *)h)[u] = (int8_t)operand;
        if (output) ((int8_t *)output)[u] = ksr_output_i8(gates, hidden);
      }
    }
  }
}

#endif /* KSR_LSTM_UNITS_ANY_H_ */
