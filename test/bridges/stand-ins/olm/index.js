throw new Error("olm is not installed");
