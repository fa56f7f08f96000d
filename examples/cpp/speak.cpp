// Speaks by a voice folder, chunk by chunk; docs/voice-format.md says why each step is as it is.
//   tts-kit text --voice VOICE --json "Good morning." | ./speak VOICE out.wav [SEED]
// It has no guards, which try a sentence again where attention is lost, and no SSML.
#include <algorithm>

#include "voice.h"

// Frame `f` of a mel, row by row (mels, frames), to `columns`, frame by frame.
static void append_columns(Floats& columns, const Floats& mel, int mels, int from, int to) {
    const int frames = mel.size() / mels;
    for (int f = from; f < to; f++)
        for (int m = 0; m < mels; m++) columns.push_back(mel[m * frames + f]);
}

static Floats rows(const Floats& columns, int mels, int from, int to) {
    Floats mel;
    for (int m = 0; m < mels; m++)
        for (int f = from; f < to; f++) mel.push_back(columns[f * mels + m]);
    return mel;
}

// Hands the chunks of one sentence to `give(samples, count)`.
template <class Give>
void speak(Voice& voice, std::vector<int64_t> tokens, uint64_t seed, int sentence, Give give) {
    const int mels = voice.mels, ahead = voice.around + voice.delay;
    const int64_t length = tokens.size();
    const auto memory = voice.encoder.run({tensor(tokens, {1, length})});
    Floats zeros(std::max(voice.state_size, 2 * length));
    Value state = tensor(zeros, {1, voice.state_size}), attention = tensor(zeros, {2, length});
    Value spoken = voice.start;
    Floats coarse, refined;  // all frames so far, before and behind the postnet
    int steps = 0, total = 0, ready = 0, done = 0, end = 0;  // frames, but for the steps
    int left = voice.longest(tokens.size());
    bool ended = false;
    for (size_t chunk = 0; !ended || end < total; chunk++) {
        end += voice.chunks[std::min(chunk, voice.chunks.size() - 1)];
        const int wanted = (end + ahead + voice.reduction - 1) / voice.reduction - steps;
        if (!ended && wanted > 0) {
            const int count = std::min(wanted, left);
            Floats masks = voice.masks(seed, sentence, steps, count);
            const auto out =
                voice.decoder.run({tensor(masks, {count, voice.layers, voice.width}), memory[0],
                                   memory[1], state, attention});
            const Floats mel = floats(out[0]), gate = floats(out[1]);
            append_columns(coarse, mel, mels, 0, mel.size() / mels);
            state = out[2], attention = out[3];
            steps += gate.size(), left -= gate.size(), total = coarse.size() / mels;
            ended = left == 0 || gate.back() > voice.gate || int(gate.size()) < count;
        }
        // What is not refined yet, with as much around it as the postnet looks at.
        const int upto = std::min(end + voice.delay, ended ? total : total - voice.around);
        if (upto > ready) {
            const int first = std::max(0, ready - voice.around);
            const int last = std::min(total, upto + voice.around);
            Floats piece = rows(coarse, mels, first, last);
            const auto out = voice.postnet.run({tensor(piece, {1, mels, last - first})});
            append_columns(refined, floats(out[0]), mels, ready - first, upto - first);
            ready = upto;
        }
        if (ended) refined.resize((std::min(end, total) + voice.delay) * mels, voice.quiet);
        const int fed = refined.size() / mels;
        const Floats wav = voice.speak(rows(refined, mels, done, fed), spoken);
        const size_t drop = done ? 0 : voice.delay * voice.hop;  // the silence before the sentence
        done = fed;
        give(wav.data() + drop, wav.size() - drop);
    }
}

int main(int argc, char** argv) {
    if (argc < 3) fail("give a voice folder and a WAV file");
    const uint64_t seed = argc > 3 ? std::strtoull(argv[3], nullptr, 10) : 0;
    Voice voice(argv[1]);
    std::ofstream wav(argv[2], std::ios::binary);
    uint32_t size = 0;
    const auto header = [&] {  // mono, 32-bit float, little-endian as the machine
        const uint32_t rate = voice.rate;
        const uint32_t head[] = {0x46464952, 36 + size, 0x45564157, 0x20746d66, 16,  0x00010003,
                                 rate,       4 * rate,  0x00200004, 0x61746164, size};
        wav.seekp(0).write(reinterpret_cast<const char*>(head), sizeof head);
    };
    const auto give = [&](const float* samples, size_t count) {  // a player would take them here
        for (size_t i = 0; i < count; i++) {
            const float clipped = std::min(1.0f, std::max(-1.0f, samples[i]));
            wav.write(reinterpret_cast<const char*>(&clipped), sizeof clipped);
        }
        size += count * sizeof(float);
    };
    header();
    int sentence = 0;
    for (std::string line; std::getline(std::cin, line);) {
        if (line.find("\"words\": []") != std::string::npos) continue;  // nothing to say
        const auto read = numbers(line, {"tokens"});
        const Floats pause(sentence ? std::lround(voice.pause * voice.rate) : 0);
        give(pause.data(), pause.size());
        speak(voice, {read.begin(), read.end()}, seed, sentence++, give);
    }
    header();
    if (!wav || !sentence) fail(sentence ? "cannot write the WAV file" : "nothing to say");
}
