# %% [markdown]
# # What phones do to a piano, and how much of it comes back
#
# A study with several devices: which gain law each has, how steep the dynamics are before and after restoration, and whether the
# decays of the strings agree with the microphone's. Open this file as a notebook (VS Code, Spyder, `jupytext --to ipynb study.py`) or
# run it:
#
#     python examples/study.py                        a small study, simulated from the recording that comes with agcfix
#     python examples/study.py phone2pro.csv figures  your own: a manifest of phones and microphones, as for `agcfix dataset`
#
# Needs `pip install 'agcfix[study]'`.

# %%
import sys
import tempfile
from pathlib import Path

import matplotlib

if "ipykernel" not in sys.modules:
    matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import agcfix

arguments = [word for word in sys.argv[1:] if not word.startswith("-")] if "ipykernel" not in sys.modules else []
figures = Path(arguments[1] if len(arguments) > 1 else "study-figures")
figures.mkdir(parents=True, exist_ok=True)

# %% [markdown]
# ## The manifest
#
# One row a recording: take, position, device, role (`phone` or `mic`), path. Without one of your own, three phones are simulated, each
# with another gain control, so that the truth is known.

# %%
DATA = Path(__file__).parents[3] / "examples" / "data" if "__file__" in globals() else Path("examples/data")
DEVICES = {
    "soft": agcfix.Law.of("compressor", threshold_db=-24.0, slope=0.5, knee_db=6.0, attack_s=0.01, release_s=0.5),
    "hard": agcfix.Law.of("compressor", threshold_db=-32.0, slope=0.75, knee_db=4.0, attack_s=0.005, release_s=0.3),
    "none": None,
}
SECONDS = 20


def simulated_study(folder: Path) -> Path:
    """Three phones beside one microphone, at a position of their own: noise and response of a phone, and a gain law."""
    samples, rate = agcfix.load(DATA / "prelude-mic.flac")
    samples = samples[:, : SECONDS * rate]
    agcfix.write_wav(folder / "mic.wav", samples, rate)
    lines = ["take,position,device,role,path", "1,near,mic,mic,mic.wav"]
    for device, law in DEVICES.items():
        phone = agcfix.simulate(samples.mean(axis=0), rate, "phone-light", laws=[law] if law else [])
        agcfix.write_wav(folder / f"{device}.wav", phone.samples, phone.sample_rate, bits="16")
        lines.append(f"1,near,{device},phone,{device}.wav")
    (folder / "study.csv").write_text("\n".join(lines) + "\n")
    return folder / "study.csv"


temporary = tempfile.TemporaryDirectory(prefix="agcfix-study-")
manifest = Path(arguments[0]) if arguments and arguments[0] else simulated_study(Path(temporary.name))
recordings = pd.read_csv(manifest, comment="#", dtype=str)
recordings["path"] = [str(manifest.parent / path) for path in recordings["path"]]
print(recordings.groupby(["device", "role"]).size().rename("recordings").to_frame())

# %% [markdown]
# ## Every phone, restored and compared with the microphone of its take and position
#
# What cannot be used is noted and left behind: a study of hundreds of recordings must not stop at one.

# %%
mics = recordings[recordings["role"] == "mic"].groupby(["take", "position"])["path"].first()
rows, curves, decays = [], {}, {}
for phone in recordings[recordings["role"] == "phone"].itertuples():
    row = {"take": phone.take, "position": phone.position, "device": phone.device}
    try:
        recording = agcfix.load(phone.path)
        restored = agcfix.restore(*recording)
        analysis = restored.analysis
        row |= {"verdict": analysis.verdict.outcome, "law": analysis.law.name if restored.is_restored else None}
        row |= {"gain_moves_db": analysis.gain_curve.movement_db if restored.is_restored else 0.0}
        if restored.is_restored:
            row |= {p.name: p.value for p in analysis.law.parameters}
        curves[phone.device] = analysis.gain_curve
        mic = agcfix.load(mics[phone.take, phone.position])
        validation = agcfix.validate(*recording, *mic, restored.samples)
        if not validation:
            raise ValueError(validation.reason)
        before, after = validation.before, validation.after
        row |= {"slope_before": before.dynamics_slope, "slope_after": after.dynamics_slope}
        row |= {"gain_error_before_db": before.gain_rms_db, "gain_error_after_db": after.gain_rms_db}
        row |= {"decay_bias_before": before.decays["bias_db_per_s"], "decay_bias_after": after.decays["bias_db_per_s"]}
        decays[phone.device] = (before, after)
    except (agcfix.errors.Error, KeyError, ValueError) as error:
        row["error"] = str(error)
    rows.append(row)
table = pd.DataFrame(rows)
table.to_csv(figures / "study.csv", index=False)
print(table.drop(columns="error", errors="ignore").round(3).to_string(index=False))

# %% [markdown]
# ## Gain laws by device
#
# Where the gain moved, on the phone's own clock. The band is what 90 % of the resampled notes allow.

# %%
devices = list(curves)
figure, axes = plt.subplots(len(devices), 1, figsize=(9, 1.9 * len(devices)), sharex=True, sharey=True, squeeze=False, layout="constrained")
for axis, device in zip(axes[:, 0], devices):
    curve = curves[device]
    axis.fill_between(curve.time_s, curve.lower_db, curve.upper_db, color="tab:green", alpha=0.25, linewidth=0)
    axis.plot(curve.time_s, curve.gain_db, color="tab:green", linewidth=1)
    law = table.loc[table["device"] == device, "law"].iloc[0]
    axis.set_title(f"{device}: {law if isinstance(law, str) else 'no gain control'}", loc="left", fontsize=10)
    axis.set_ylabel("gain (dB)")
axes[-1, 0].set_xlabel("time (s)")
figure.savefig(figures / "gain-laws.png", dpi=120)

# %% [markdown]
# ## Dynamics before and after
#
# How many dB the recording moves when the microphone moves by one: 1 is intact.

# %%
means = table.groupby("device")[["slope_before", "slope_after"]].mean()
figure, axis = plt.subplots(figsize=(6, 0.7 + 0.6 * len(means)), layout="constrained")
y = np.arange(len(means))
axis.hlines(y, means["slope_before"], means["slope_after"], color="0.75", linewidth=3)
axis.plot(means["slope_before"], y, "o", color="tab:orange", label="as recorded")
axis.plot(means["slope_after"], y, "o", color="tab:blue", label="restored")
axis.axvline(1.0, color="0.4", linewidth=1, linestyle=":")
axis.set_yticks(y, means.index)
axis.set_ylim(-0.6, len(means) - 0.4)
axis.set_xlabel("dynamics slope (dB per dB of the microphone)")
axis.legend(loc="upper left", bbox_to_anchor=(1, 1), frameon=False)
figure.savefig(figures / "dynamics-slope.png", dpi=120)

# %% [markdown]
# ## Decays
#
# Every partial that both the microphone and the phone hold, fitted on the same frames. On the diagonal they agree.

# %%
figure, axes = plt.subplots(1, len(decays), figsize=(3.1 * len(decays), 3.4), sharex=True, sharey=True, squeeze=False, layout="constrained")
for axis, (device, (before, after)) in zip(axes[0], decays.items()):
    for measures, colour, label in ((before, "tab:orange", "as recorded"), (after, "tab:blue", "restored")):
        axis.plot(measures.mic_decay_db_per_s, measures.decay_db_per_s, ".", color=colour, markersize=3, alpha=0.5, label=label)
    axis.plot([-10, 60], [-10, 60], color="0.4", linewidth=1, linestyle=":")
    axis.set(xlim=(-10, 60), ylim=(-10, 60), title=device, xlabel="microphone (dB/s)")
axes[0, 0].set_ylabel("phone (dB/s)")
axes[0, 0].legend(frameon=False, markerscale=3, fontsize=8)
figure.savefig(figures / "decays.png", dpi=120)
print(f"Figures and study.csv are in {figures}/")
temporary.cleanup()
