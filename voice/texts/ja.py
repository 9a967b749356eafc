"""日本語: 利用者に見える文。"""

from __future__ import annotations

from voice.texts.words import Words

JAPANESE = Words(
    sentences={
        "api_key_refused": "APIキーが必要です。キーがないか、正しくありません。",
        "origin_refused": "このページからKaiwaには接続できません。管理者にALLOWED_ORIGINSへの追加を依頼してください。",
        "too_many_connections": "同じアドレスからの接続が{limit}件を超えています。どれかを閉じてからお試しください。",
        "too_many_messages": "1分間に{limit}件を超えました。少し待ってから送ってください。",
        "too_many_waiting": "すでに{limit}件のメッセージが順番を待っています。返答を待ってから送ってください。",
        "only_text": "ここではテキストだけを送れます。",
        "message_too_large": "メッセージが長すぎるため、接続を閉じました。{limit}文字以内で送ってください。",
        "idle_too_long": "長い間やり取りがなかったため、接続を閉じました。",
        "engine_switched": "{preferred}がいま応答しないため、{answered}が答えました。",
        "nothing_heard": "ことばを聞き取れませんでした。マイクに少し近づいて、もう一度お話しください。",
        "recording_too_long": "録音が{limit_seconds}秒を超えています。短く区切ってお話しください。",
        "recording_too_large": "ファイルが{limit_mb} MBを超えています。短い録音か、音声だけのファイルを送ってください。",
        "unreadable_audio": "このファイルは音声として読めません。録音し直すか、WAV・MP3・M4A・OGG・WebMのファイルを送ってください。",
        "empty_audio": "録音が空でした。マイクを確かめて、もう一度録音してください。",
        "empty_text": "まだ何も入力されていません。メッセージを入力してから送ってください。",
        "text_too_long": "メッセージが{length}文字あります。{limit}文字までに短くしてください。",
        "chat_unreachable": "会話モデルのサーバーが応答しません。少し待ってから、もう一度お試しください。",
        "chat_timeout": "会話モデルが{seconds:g}秒以内に応答しませんでした。もう一度お試しください。",
        "chat_key_refused": "会話モデルのサーバーがキーを受け付けません。OPENAI_API_KEYを確かめてください。",
        "chat_quota": "会話モデルのサーバーが混み合っているか、利用枠を超えています。1分ほど待って、もう一度お試しください。",
        "chat_model_missing": "会話モデルのサーバーに「{model}」というモデルがありません。OPENAI_MODELを確かめてください。",
        "chat_refused": "会話モデルのサーバーが要求を断りました: {reason}",
        "chat_filtered": "コンテンツフィルターがこの返答を止めました。別の言い方でお試しください。",
        "chat_said_nothing": "会話モデルから返答がありませんでした。別の言い方で、もう一度お試しください。",
        "chat_gone": "このマシンの言語モデルが停止し、再起動できませんでした。Kaiwaを起動し直してください。",
        "recognition_failed": "音声認識に失敗しました。もう一度お試しください。",
        "recognition_timeout": "音声認識に{seconds:g}秒以上かかりました。もっと短い録音でお試しください。",
        "voice_failed": "音声の合成に失敗したため、この返答は文字だけでお伝えします。",
        "voice_timeout": "音声の合成に{seconds:g}秒以上かかったため、この返答の続きは文字だけでお伝えします。",
        "model_unavailable": (
            "モデル「{model}」を配布元からもパッケージからも取得できませんでした。"
            "ネットワークを確かめるか、{folder} に {file} を置いてください。"
        ),
        "disk_full": "ディスクがいっぱいです。{model} には {folder} に {needed_mb} MB 必要です。空きを作るか、MODELS_DIRを設定してください。",
        "models_folder_unwritable": "モデルの保存先 {folder} に書き込めません。MODELS_DIRで別の場所を指定してください。",
        "local_engines_missing": (
            "ローカルエンジンが入っていません。今のところ音声にはこれが必要です。"
            "pip install -r requirements.txt を実行してください。"
        ),
        "port_taken": "ポート{port}は使われています。ほかのプログラムを止めるか、--port {another} のように別のポートを指定してください。",
        "openai_not_configured": "CHAT_ENGINEがopenaiですが、OPENAI_BASE_URLもOPENAI_API_KEYも設定されていません。",
        "speech_model_broken": "{folder} の音声認識モデルが見つからないか、壊れています。このフォルダーを削除して、Kaiwaを起動し直してください。",
        "model_not_on_hub": "Hugging Face Hub に {file} がないか、トークンなしでは取得できません。LOCAL_CHAT_MODELとHF_TOKENを確かめてください。",
        "turn_broke": "Kaiwaの内部で問題が起き、記録しました。もう一度お試しください。",
        "chat_lost": "言語モデルが返答の途中で停止しました。次の質問で自動的に再起動しますので、もう一度お試しください。",
        "chat_model_unnamed": "会話モデルのサーバーがモデルの一覧を返しません。OPENAI_MODELを設定してください。",
        "openmp_missing": "llama.cppにはOpenMPが必要です。Debian・Ubuntuでは sudo apt install libgomp1 を実行してください。",
        "model_file_missing": "ファイル {file} がありません。LOCAL_CHAT_MODELを確かめてください。",
        "model_file_broken": "モデル {file} を読み込めません。完全なGGUFファイルか確かめてください。",
    },
    page={
        "transcript": "会話",
        "welcome": "### 話しかけてください\n「録音」を押して話し、「停止」を押します。文字を入力してもかまいません。",
        "record": "話す、または録音を置く",
        "type": "メッセージ",
        "type_here": "メッセージを入力…",
        "stop": "停止",
        "clear": "新しい会話",
        "reply_sound": "返答の音声",
        "language": "話すことば",
        "voice": "声",
        "voice_info": "この声は自分の言語の文を読みます。ほかの言語はその言語の声が読みます。",
        "hear_voice": "この声を聞く",
        "voice_sample": "見本",
        "speed": "話す速さ",
        "persona": "人柄",
        "persona_info": "選ぶか、自由に書いてください。",
        "automatic": "自動",
    },
    phases={
        "warming": "エンジンを起動しています…",
        "ready": "いつでもどうぞ",
        "recognising": "聞き取っています",
        "thinking": "考えています",
        "writing": "答えています",
        "speaking": "話しています",
        "answered": "答えました",
        "stopped": "停止しました",
    },
    spoken_hints={
        "code": "コードは画面に表示しています。",
        "table": "表は画面に表示しています。",
        "link": "リンク",
    },
    stopped_mark="停止",
    engine_roles=("聞く", "考える", "話す"),
    voice_sample="こんにちは。私の声はこんな感じです。お話ししましょう。",
    language_names={
        "auto": "自動で判定",
        "ja": "日本語",
        "en": "英語 (English)",
        "zh": "中国語 (中文)",
        "ko": "韓国語 (한국어)",
        "fr": "フランス語 (français)",
        "de": "ドイツ語 (Deutsch)",
        "es": "スペイン語 (español)",
        "it": "イタリア語 (italiano)",
        "pt": "ポルトガル語 (português)",
    },
    users_language="相手のことば",
    system_prompt=(
        "あなたは「カイワ」です。親しい友だちとして、音声で楽しく会話します。いつも「です・ます」で、質問にまず答え、"
        "一文か二文で短く話してください。共感し、具体的に答えます。箇条書き、記号、コードは頼まれたときだけ使います。"
        "英語で話しかけられたら英語で答えます。{persona}"
    ),
    examples=(
        ("こんにちは。", "こんにちは！お話しできてうれしいです。今日はいかがお過ごしですか？"),
        ("おすすめの映画は？", "「となりのトトロ」はいかがですか？心が温まる、やさしいお話です。"),
        (
            "大阪から広島までどうやって行けますか？",
            "新幹線が便利です。新大阪駅から広島駅まで、一時間半ほどで着きますよ。",
        ),
        ("日本の首都はどこですか？", "日本の首都は東京です。にぎやかで、見どころがたくさんありますよ。"),
        (
            "仕事で失敗しました。",
            "それは落ち込みますね。でも、次はきっとうまくいきますよ。今夜はゆっくり休んでください。",
        ),
    ),
    personas={
        "friendly": ("親しみやすい話し相手", ""),
        "tutor": ("語学の先生", "会話の練習を助け、間違いはやさしく直し、簡単な質問を一つしてください。"),
        "concise": ("簡潔な専門家", "一文で正確に、要点だけを答えてください。"),
        "interviewer": ("面接官", "就職面接の面接官として、質問を一つずつして、答えに反応してください。"),
    },
)
