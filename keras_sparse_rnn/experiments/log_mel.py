"""Log-mel spectra, in NumPy."""

import numpy as np

HOP_S, BANDS, LOWEST_HZ = 0.020, 32, 60.0


def log_mel(samples, rate, hop_s=HOP_S):
    """Computes the logarithm of the energy in 32 mel bands, by default every 20 ms.

    Windows of 1.25 hops (Hann), power spectrum, 32 triangular filters between 60 Hz and half the sampling rate, evenly
    spaced on the mel scale 2595 log10(1 + f / 700) (O'Shaughnessy 1987).

    Args:
        samples: Array (samples,) in [-1, 1]; one shorter than a window is padded with zeros.
        rate: Sampling rate in Hz.
        hop_s: Seconds from one window to the next.

    Returns:
        float32 array (frames, 32).
    """
    window, hop = round(1.25 * hop_s * rate), round(hop_s * rate)
    samples = np.pad(samples, (0, max(0, window - len(samples))))
    frames = np.lib.stride_tricks.sliding_window_view(samples, window)[::hop]
    size = 1 << (window - 1).bit_length()
    power = np.abs(np.fft.rfft(frames * np.hanning(window), size)) ** 2
    return np.log(power @ _filters(size, rate) + 1e-6).astype(np.float32)


def _filters(size, rate):
    """Returns triangular filters on the mel scale, `(size // 2 + 1, bands)`."""
    edges = np.linspace(_mel(LOWEST_HZ), _mel(rate / 2), BANDS + 2)
    bins = _mel(np.fft.rfftfreq(size, 1 / rate))[:, None]
    left, centre, right = edges[:-2], edges[1:-1], edges[2:]
    return np.maximum(0, np.minimum((bins - left) / (centre - left), (right - bins) / (right - centre)))


def _mel(hertz):
    return 2595 * np.log10(1 + hertz / 700)
