import pytest

LIST = "/api/w-matrices"


@pytest.mark.parametrize(
    ("required", "available", "compatible"),
    [("1.0.0", "1.2.3", True), ("1.2.3", "1.2.2", False), ("1.0.0", "2.0.0", False)],
)
def test_version_compatibility(client, required, available, compatible):
    query = {"required": required, "available": available}
    assert client.get(f"{LIST}/version-compatibility", query).json() == query | {"compatible": compatible}


def test_certification_tiers_name_their_ceilings(client):
    document = client.get(f"{LIST}/certification-tiers").json()
    assert [(each["tier"], each["max_epsilon"]) for each in document["tiers"]] == [
        ("platinum", 0.01),
        ("gold", 0.05),
        ("silver", 0.10),
        ("bronze", None),
    ]
    assert document["grades"][0] == {"grade": "excellent", "max_epsilon": 0.02}
