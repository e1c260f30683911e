#!/usr/bin/env python3
"""Other alignment tools on the trials that the `alignment` example writes.

usage: alignment_tools.py DIR OUT.csv
DIR holds NNN-phone.wav and NNN-mic.wav (cargo run --release --example alignment -- CASES --trials 40 --wav DIR).
Writes tool,trial,offset_s,seconds: the microphone's time of the phone's first sample, as each tool tells it; empty where the
tool fails. Needs: pip install audalign audio-offset-finder syncstart
"""
import csv, glob, os, sys, time


def audalign_correlation(phone, mic):
    import audalign
    recogniser = audalign.CorrelationRecognizer()
    recogniser.config.multiprocessing = False
    return audalign_offset(audalign, recogniser, phone, mic)


def audalign_fingerprint(phone, mic):
    import audalign
    recogniser = audalign.FingerprintRecognizer()
    recogniser.config.multiprocessing = False
    return audalign_offset(audalign, recogniser, phone, mic)


def audalign_offset(audalign, recogniser, phone, mic):
    shifts = audalign.align_files(phone, mic, recognizer=recogniser)
    # Each file's shift to a common start.
    return float(shifts[os.path.basename(phone)]) - float(shifts[os.path.basename(mic)])


def audio_offset_finder(phone, mic):
    from audio_offset_finder.audio_offset_finder import find_offset_between_files
    return float(find_offset_between_files(mic, phone, trim=240)["time_offset"])


def syncstart(phone, mic):
    import syncstart as tool
    flags = dict.fromkeys(["video", "crop", "denoise", "normalize", "show"], False)
    name, offset_s = tool.file_offset(in1=mic, in2=phone, take=240, begin=0, lowpass=0, quiet=True, **flags)
    # It names the file to be cut, and by how much.
    return float(offset_s) if name == mic else -float(offset_s)


def main():
    folder, out = sys.argv[1:3]
    del sys.argv[1:]  # syncstart reads it
    tools = [syncstart, audio_offset_finder, audalign_correlation, audalign_fingerprint]
    with open(out, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["tool", "trial", "offset_s", "seconds"])
        for phone in sorted(glob.glob(os.path.join(folder, "*-phone.wav"))):
            trial = int(os.path.basename(phone)[:3])
            mic = phone.replace("-phone.wav", "-mic.wav")
            for tool in tools:
                began = time.monotonic()
                try:
                    offset = repr(tool(phone, mic))
                except Exception as error:
                    print(tool.__name__, trial, "failed:", error, file=sys.stderr)
                    offset = ""
                writer.writerow([tool.__name__.replace("_", "-"), trial, offset, round(time.monotonic() - began, 2)])
                file.flush()


if __name__ == "__main__":
    main()
