// A voice folder: what voice.json says, the four graphs, the prenet's masks.
#pragma once
#include <cmath>
#include <cstdint>
#include <fstream>
#include <iterator>

#include "graph.h"

class Voice {
    const std::string folder, json;  // stand first: the rest is read from them

  public:
    const int rate, hop, mels, reduction, layers, width;
    const int around, delay;  // frames that postnet and vocoder look ahead
    const double keep, gate, pause;
    const float quiet;
    const std::vector<double> chunks;
    Graph encoder, decoder, postnet, vocoder;
    int64_t state_size = 0;  // of the decoder
    Floats zeros;
    Value start;  // the vocoder's state after silence

    explicit Voice(const std::string& path)
        : folder(path + "/"), json(text(folder + "voice.json")),
          rate(number("audio", "sample_rate")), hop(number("audio", "hop_length")),
          mels(number("audio", "n_mels")), reduction(number("acoustic", "reduction")),
          layers(number("acoustic", "prenet_layers")), width(number("acoustic", "prenet_dim")),
          around(number("context", "postnet")), delay(number("context", "vocoder")),
          keep(1 - number("acoustic", "prenet_dropout")),
          gate(-std::log(1 / number("stream", "gate_threshold") - 1)),
          pause(number("stream", "sentence_pause")), quiet(std::log(number("audio", "log_floor"))),
          chunks(numbers(json, {"stream", "chunk_frames"})),
          encoder(folder + "encoder.onnx", {"tokens"}, {"memory", "processed_memory"}),
          decoder(folder + "decoder.onnx",
                  {"prenet_masks", "memory", "processed_memory", "state", "attention"},
                  {"mel", "gate", "next_state", "next_attention"}),
          postnet(folder + "postnet.onnx", {"mel"}, {"refined"}),
          vocoder(folder + "vocoder.onnx", {"mel", "state"}, {"wav", "next_state"}),
          zeros(size_t(number("vocoder_state", "size"))) {
        size_t at = json.find("\"decoder_state\": ");
        const size_t end = json.find("\"vocoder_state\": ");
        while ((at = json.find("\"size\": ", at + 1)) < end)
            state_size += numbers(json.substr(at, 40), {"size"})[0];
        start = tensor(zeros, {1, int64_t(zeros.size())});
        speak(Floats(mels * (2 * delay + 1), quiet), start);
    }

    // The number in voice.json.
    double number(const std::string& section, const std::string& key) const {
        const auto found = numbers(json, {section, key});
        if (found.empty()) fail(folder + "voice.json has no " + section + "." + key);
        return found[0];
    }

    // Decoder steps after which a sentence is cut.
    int longest(size_t tokens) const {
        const double seconds = std::min(number("stream", "max_seconds"),
                                        number("stream", "base_seconds") +
                                            number("stream", "seconds_per_token") * tokens);
        return std::ceil(seconds * rate / hop / reduction);
    }

    // The wave that `mel` (mels, F), row by row, completes; the first `delay` frames belong to
    // what was before.
    Floats speak(Floats mel, Value& state) {
        const auto got = vocoder.run({tensor(mel, {1, mels, int64_t(mel.size()) / mels}), state});
        state = got[1];
        return floats(got[0]);
    }

    // Masks (steps, layers, width) from step `first` of a sentence on.
    Floats masks(uint64_t seed, uint64_t sentence, int first, int steps) const {
        const uint64_t words = (layers * width + 3) / 4, key = mix(mix(seed) + sentence);
        const uint64_t limit = std::lround(keep * 65536);
        Floats result;
        for (uint64_t step = first; step < uint64_t(first + steps); step++)
            for (int i = 0; i < layers * width; i++) {
                const uint64_t word = mix(key + (step * words + i / 4 + 1) * 0x9E3779B97F4A7C15u);
                const bool kept = (word >> 16 * (i % 4) & 0xFFFF) < limit;
                result.push_back(kept ? 1 / float(keep) : 0);
            }
        return result;
    }

  private:
    static uint64_t mix(uint64_t z) {
        z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
        z = (z ^ z >> 27) * 0x94D049BB133111EBu;
        return z ^ z >> 31;
    }
    static std::string text(const std::string& path) {
        std::ifstream file(path, std::ios::binary);
        if (!file) fail("cannot read " + path);
        return {std::istreambuf_iterator<char>(file), {}};
    }
};
