"""Turns one layer tar into an OCI image layout (image-spec v1.1), in place.

usage: oci-layout.py FOLDER CONFIG-JSON REFERENCE...

FOLDER/layer.tar becomes a blob; beside it come config, manifest and an index that names every REFERENCE. Times are
fixed, so that the same root gives the same digests.
"""

import hashlib
import json
import os
import platform
import sys

folder, image_config, references = sys.argv[1], json.loads(sys.argv[2]), sys.argv[3:]
blobs = os.path.join(folder, "blobs", "sha256")
os.makedirs(blobs)
architecture = {"x86_64": "amd64", "aarch64": "arm64"}[platform.machine()]


def descriptor(media_type, digest, size):
    return {"mediaType": f"application/vnd.oci.image.{media_type}", "digest": f"sha256:{digest}", "size": size}


def encode(value):
    return json.dumps(value, sort_keys=True).encode()


def add(media_type, value):
    data = encode(value)
    digest = hashlib.sha256(data).hexdigest()
    with open(os.path.join(blobs, digest), "wb") as f:
        f.write(data)
    return descriptor(media_type, digest, len(data))


layer_file = os.path.join(folder, "layer.tar")
with open(layer_file, "rb") as f:
    layer_digest = hashlib.file_digest(f, "sha256").hexdigest()
layer = descriptor("layer.v1.tar", layer_digest, os.path.getsize(layer_file))
os.rename(layer_file, os.path.join(blobs, layer_digest))

config = add(
    "config.v1+json",
    {
        "architecture": architecture,
        "os": "linux",
        "created": "1970-01-01T00:00:00Z",
        "config": image_config,
        "rootfs": {"type": "layers", "diff_ids": [layer["digest"]]},
    },
)
manifest_type = "application/vnd.oci.image.manifest.v1+json"
manifest = add(
    "manifest.v1+json",
    {"schemaVersion": 2, "mediaType": manifest_type, "config": config, "layers": [layer]},
)
index = {
    "schemaVersion": 2,
    "mediaType": "application/vnd.oci.image.index.v1+json",
    # containerd takes the full reference from its own annotation.
    "manifests": [
        {**manifest, "annotations": {"io.containerd.image.name": name, "org.opencontainers.image.ref.name": name.rsplit(":", 1)[1]}}
        for name in references
    ],
}
with open(os.path.join(folder, "index.json"), "wb") as f:
    f.write(encode(index))
with open(os.path.join(folder, "oci-layout"), "wb") as f:
    f.write(encode({"imageLayoutVersion": "1.0.0"}))
